// Prints each state as JSON with npm's zeromq: `node subscriber.js STATES-ENDPOINT SESSION`.
const zmq = require("zeromq");

async function main(endpoint, session) {
  const subscriber = new zmq.Subscriber();
  subscriber.subscribe(`state/${session}`, "status");
  subscriber.connect(endpoint);
  for await (const [topic, , payload] of subscriber) {
    if (topic.toString() === `state/${session}`) console.log(payload.toString()); // it takes every topic that begins so
    else if (topic.toString() === "status") console.error("subscribed"); // the first comes when the subscription stands
  }
}

main(...process.argv.slice(2));
