// A receiver for a protocol of its own: `PUT name size`, a line end, and that many bytes. The answer is
// `stored NAME`, or `refused: REASON`.

import { Upload, open } from "sandport:upload/inbox@0.2.0";

// Longest first line. Names have 2,041 bytes at most.
const LINE_BYTES_MAX = 4_096;

// Most bytes of one splice: enough that the call does not count.
const STEP_BYTES = 1n << 20n;

export const receiver = {
  serve(peer, input, output) {
    let receipt;
    try {
      receipt = receive(input);
    } catch (error) {
      // What has no refusal in it is a mistake of this module. It ends the connection as a trap.
      if (error.payload === undefined) throw error;
      answer(output, `refused: ${error.payload.detail ?? "sorry"}\n`);
      throw error;
    }
    answer(output, `stored ${receipt.name}\n`);
    return { tag: "close" };
  },
};

// A refusal of this receiver's own, in the form in which those of the inbox are thrown.
class Refused extends Error {
  constructor(refusal) {
    super(refusal.detail);
    this.payload = refusal;
  }
}

function receive(input) {
  const { name, size } = readLine(input);
  // The size stays out of the offer: for a size that is here already, the inbox would ask for a digest,
  // and this protocol has none. `commit` checks it.
  const opened = answerTo(
    open({
      name,
      kind: "file",
      size: undefined,
      modified: undefined,
      executable: false,
      lifetime: { tag: "connection" },
      digests: [],
      want: [],
      metadata: [],
    }),
  );
  if (opened.tag !== "accepted") throw malformed("the inbox asks for a digest");
  const upload = opened.val;
  const body = upload.body({ offset: 0n, length: undefined }, undefined);
  const sink = body.sink();
  let left = size;
  while (left > 0n) {
    // The host moves the bytes into the file. They never come here.
    try {
      left -= sink.blockingSplice(input, left < STEP_BYTES ? left : STEP_BYTES);
    } catch {
      throw malformed("the connection ended within the file");
    }
  }
  return taken(Upload.commit(upload, size, []));
}

// The answer to an offer, which most get at once.
function answerTo(opened) {
  return opened.tag === "answered" ? value(opened.val) : taken(opened.val);
}

// What comes, when it is there.
function taken(coming) {
  let outcome;
  while ((outcome = coming.take()) === undefined) coming.subscribe().block();
  return value(outcome);
}

function value(outcome) {
  if (outcome.tag === "err") throw new Refused(outcome.val);
  return outcome.val;
}

// The name and the size. It reads byte by byte: what follows the line is payload, and stays in the
// connection for the splice.
function readLine(input) {
  const line = [];
  let parts = null;
  try {
    while (line.at(-1) !== 0x0a && line.length < LINE_BYTES_MAX) line.push(...input.blockingRead(1n));
    const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(new Uint8Array(line));
    parts = /^PUT (.*) ([0-9]{1,19})\n$/s.exec(text);
  } catch {
    // The connection ended within the line, or the line is not UTF-8.
  }
  if (parts === null) throw malformed("expected is PUT name size");
  return { name: parts[1], size: BigInt(parts[2]) };
}

function answer(output, text) {
  try {
    output.blockingWriteAndFlush(new TextEncoder().encode(text));
  } catch {
    // A client that is gone does not want the answer.
  }
}

function malformed(detail) {
  return new Refused({ code: "malformed", temporary: false, detail });
}
