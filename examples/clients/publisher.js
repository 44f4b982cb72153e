// Publishes a short session with npm's zeromq: `node publisher.js INGRESS-ENDPOINT SESSION [KEYS]`.
const zmq = require("zeromq");
const { keys } = require("./curve_keys.js");

async function main(endpoint, session, folder) {
  const publisher = new zmq.XPublisher(keys(folder)); // a PUB that hears of subscriptions
  publisher.connect(endpoint);
  await publisher.receive(); // before the pipeline has subscribed, ZeroMQ would drop what is sent
  const messages = [
    { type: "SessionStart", session, seq: 1, t: 0, surgery: "PCNL" },
    { type: "Transcript", session, seq: 2, t: 4, speaker: "Surgeon", text: "Turn on the suction." },
    { type: "SessionEnd", session, seq: 3, t: 9 },
  ];
  for (const message of messages) await publisher.send(JSON.stringify(message));
  publisher.close();
}

main(...process.argv.slice(2));
