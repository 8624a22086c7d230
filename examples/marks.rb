# A Ruby program that marks its own handlers: the calls of docs/loopscope.h through Fiddle.
#
#     loopscope record -o marks.lscope -- ruby examples/marks.rb
#     loopscope replay marks.lscope
#
# Four connections send ten messages each through IO.select. Without loopscope the program does the same; each call of
# Scope then does nothing.

require "fiddle"
require "socket"

# The calls, where the preload shim is loaded.
module Scope
  find = lambda do |name, *types|
    Fiddle::Function.new(Fiddle::Handle::DEFAULT[name], types, Fiddle::TYPE_VOID)
  rescue Fiddle::DLError
    ->(*) {}
  end
  BEGINS = find.("loopscope_handler_begin", Fiddle::TYPE_INT, Fiddle::TYPE_VOIDP)
  ENDS = find.("loopscope_handler_end")
  NAME = find.("loopscope_name_fd", Fiddle::TYPE_INT, Fiddle::TYPE_VOIDP)

  # What runs in the block serves this descriptor.
  def self.handler(io, name)
    BEGINS.call(io.fileno, name)
    yield
  ensure
    ENDS.call
  end
end

servers, clients = Array.new(4) { UNIXSocket.pair }.transpose
servers.each_with_index { |server, i| Scope::NAME.call(server.fileno, "client #{i}") }

messages = 0
11.times do |turn|
  clients.each { |client| turn < 10 ? client.write("hello #{turn}") : client.close_write }
  ready, = IO.select(servers)
  ready.each do |server|
    Scope.handler(server, "echo") do
      data = server.recv(4096)
      server.write(data)
      messages += 1 unless data.empty?
    end
  end
end
puts "#{messages} messages"
