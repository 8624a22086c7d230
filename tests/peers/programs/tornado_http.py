"""A web server on Tornado. Usage: tornado_http.py PORT"""

import asyncio
import sys

import tornado.web


class Hello(tornado.web.RequestHandler):
    def get(self):
        self.write("hello\n")


class Echo(tornado.web.RequestHandler):
    async def post(self):
        await asyncio.sleep(0.001)  # a timer, so that requests overlap
        self.write(self.request.body)


async def main(port):
    tornado.web.Application([("/", Hello), ("/echo", Echo)]).listen(port, "127.0.0.1")
    await asyncio.Event().wait()


asyncio.run(main(int(sys.argv[1])))
