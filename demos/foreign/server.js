// A server on Node's loop: each line asks for so many pieces of work.
const [host, port] = process.argv.slice(2)

require('net').createServer(socket => {
  socket.on('data', line => {
    let sum = 0
    for (let n = parseInt(line) * 2.4e6; n > 0; n--) sum += n % 7
    socket.write(sum < 0 ? '' : '.\n')
  })
  socket.on('error', () => socket.destroy())
}).listen(Number(port), host)
