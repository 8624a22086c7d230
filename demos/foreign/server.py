# A server on asyncio: each line asks for so many pieces of work.
import asyncio
import sys


async def serve(reader, writer):
    while line := await reader.readline():
        for _ in range(int(line) * 150_000):
            pass
        writer.write(b".\n")
    writer.close()


async def main():
    server = await asyncio.start_server(serve, sys.argv[1], int(sys.argv[2]))
    await server.serve_forever()


asyncio.run(main())
