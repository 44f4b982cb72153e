// The keys of a client, for endpoints of TCP that want some: the folder that `keys generate --client` made for it.
const { readFileSync } = require("node:fs");
const { join } = require("node:path");

function key(folder, file, name) {
  const found = readFileSync(join(folder, file), "utf8").match(new RegExp(`^\\s*${name} = "(.{40})"$`, "m"));
  if (!found) throw new Error(`${join(folder, file)}: no ${name} in it`);
  return found[1];
}

// Options for a socket: it shows our own key, and speaks only to the pipeline whose public key is in the folder.
exports.keys = (folder) =>
  folder && {
    curveServerKey: key(folder, "server.key", "public-key"),
    curvePublicKey: key(folder, "client.key_secret", "public-key"),
    curveSecretKey: key(folder, "client.key_secret", "secret-key"),
  };
