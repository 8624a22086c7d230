// A web server on node's http module (libuv). Usage: node_http.js PORT

const http = require("http");

const server = http.createServer((request, response) => {
  if (request.method === "POST") {
    request.pipe(response);
  } else {
    response.end("hello\n");
  }
});
server.listen(Number(process.argv[2]), "127.0.0.1");
