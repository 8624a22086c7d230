# An echo server on Ruby's cool.io: libev with its epoll backend, called from Ruby. Usage: coolio_echo.rb PORT

require "cool.io"

class Echo < Coolio::TCPSocket
  def on_read(data)
    write(data)
  end
end

Coolio::TCPServer.new("127.0.0.1", Integer(ARGV[0]), Echo).attach(Coolio::Loop.default)
Coolio::Loop.default.run
