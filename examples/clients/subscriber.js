// Prints each state as JSON with npm's zeromq: `node subscriber.js STATES-ENDPOINT SESSION [KEYS]`.
const zmq = require("zeromq");
const { keys } = require("./curve_keys.js");

async function main(endpoint, session, folder) {
  const subscriber = new zmq.Subscriber(keys(folder));
  subscriber.subscribe(`state/${session}`, "status");
  subscriber.connect(endpoint);
  for await (const [topic, , payload] of subscriber) {
    if (topic.toString() === `state/${session}`) console.log(payload.toString()); // it takes every topic that begins so
    else if (topic.toString() === "status") console.error("subscribed"); // the first comes when the subscription stands
  }
}

main(...process.argv.slice(2));
