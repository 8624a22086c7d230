"""An echo server on Twisted's epoll reactor. Usage: twisted_echo.py PORT"""

import sys

from twisted.internet import epollreactor

epollreactor.install()

from twisted.internet import endpoints, protocol, reactor  # noqa: E402 (the reactor must be chosen first)


class Echo(protocol.Protocol):
    def dataReceived(self, data):
        self.transport.write(data)


endpoint = endpoints.TCP4ServerEndpoint(reactor, int(sys.argv[1]), interface="127.0.0.1")
endpoint.listen(protocol.Factory.forProtocol(Echo))
reactor.run()
