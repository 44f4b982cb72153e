// Publishes a short session so that nothing is lost: `node confirmed.js REQUEST-ENDPOINT SESSION [KEYS]`.
const zmq = require("zeromq");
const { keys } = require("./curve_keys.js");

const WINDOW = 1024; // messages that may be unconfirmed
const PROBE_MS = 2000; // without an answer the oldest is sent again: what comes back tells what has come

class Publisher {
  constructor(dealer) {
    this.dealer = dealer;
    this.number = 0; // of the newest
    this.kept = []; // payloads that are not confirmed, the newest last
    this.begun = false;
  }

  async publish(message) {
    while (this.kept.length >= WINDOW) await this.hear();
    this.kept.push(JSON.stringify(message));
    this.number += 1;
    await this.send(this.number, !this.begun);
    this.begun = true;
  }

  async flush() {
    while (this.kept.length) await this.hear();
  }

  get oldest() {
    return this.number - this.kept.length + 1;
  }

  async send(number, first) {
    await this.dealer.send([`Numbered ${number}${first ? " first" : ""}`, this.kept[number - this.oldest]]);
  }

  async hear() {
    let frames;
    try {
      frames = await this.dealer.receive();
    } catch (error) {
      if (error.code !== "EAGAIN") throw error;
      return this.send(this.oldest, false);
    }
    const [word, digits] = frames.at(-1).toString().split(" ");
    const number = Number(digits);
    const confirmed = word === "Confirmed" ? number : word === "Resend" ? number - 1 : 0;
    while (this.kept.length && this.oldest <= confirmed) this.kept.shift();
    if (word !== "Resend") return;
    this.begun = number > 0 || this.kept.length > 0;
    for (let n = this.oldest; n <= this.number; n++) await this.send(n, number === 0 && n === this.oldest);
  }
}

async function main(endpoint, session, folder) {
  const dealer = new zmq.Dealer({ ...keys(folder), receiveTimeout: PROBE_MS });
  dealer.connect(endpoint);
  const publisher = new Publisher(dealer);
  await publisher.publish({ type: "SessionStart", session, seq: 1, t: 0, surgery: "PCNL" });
  const text = "Turn on the suction.";
  await publisher.publish({ type: "Transcript", session, seq: 2, t: 4, speaker: "Surgeon", text });
  await publisher.publish({ type: "SessionEnd", session, seq: 3, t: 9 });
  await publisher.flush();
  dealer.close();
  console.log("confirmed");
}

main(...process.argv.slice(2));
