# An echo server on Ruby's EventMachine, with its epoll backend. Usage: eventmachine_echo.rb PORT

require "eventmachine"

module Echo
  def receive_data(data)
    send_data(data)
  end
end

EventMachine.epoll
EventMachine.run { EventMachine.start_server("127.0.0.1", Integer(ARGV[0]), Echo) }
