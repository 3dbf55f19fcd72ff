// A network between browser and server that can stand still: connections stay, no byte moves.

import net from "node:net";

export class Network {
  #server;
  #sockets = new Set();
  #still = false;

  /** Everything that connects is led to `port` on loopback. */
  static async to(port) {
    const network = new Network();
    network.#server = net.createServer((near) => {
      const far = net.connect(port, "127.0.0.1");
      for (const [from, to] of [[near, far], [far, near]]) {
        from.setNoDelay(true);
        network.#sockets.add(from);
        from.on("data", (bytes) => {
          if (!to.write(bytes)) from.pause();
        });
        to.on("drain", () => network.#still || from.resume());
        from.on("end", () => to.end());
        from.on("error", () => to.destroy());
        from.on("close", () => {
          network.#sockets.delete(from);
          to.destroy();
        });
        if (network.#still) from.pause();
      }
    });
    await new Promise((resolve) => network.#server.listen(0, "127.0.0.1", resolve));
    return network;
  }

  get port() {
    return this.#server.address().port;
  }

  async standStill(ms) {
    this.#still = true;
    for (const socket of this.#sockets) socket.pause();
    await new Promise((resolve) => setTimeout(resolve, ms));
    this.#still = false;
    for (const socket of this.#sockets) socket.resume();
  }

  close() {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
  }
}
