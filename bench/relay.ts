/** The least a proxy in Node can be: two sockets and nothing read. Arguments: the port to listen on, the server's. */
import { connect, createServer } from "node:net";
import process from "node:process";

const [listenPort, serverPort] = process.argv.slice(2).map(Number);

createServer({ noDelay: true }, (client) => {
  const server = connect({ host: "127.0.0.1", port: serverPort ?? 0, noDelay: true });
  client.pipe(server).pipe(client);
  client.on("error", () => server.destroy());
  server.on("error", () => client.destroy());
}).listen(listenPort, "127.0.0.1");
