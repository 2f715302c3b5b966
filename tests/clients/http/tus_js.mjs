// Uploads a file with tus-js-client in Node, as a program of somebody else's would.
//
//   node tus_js.mjs VERSION OPTIONS
//
// VERSION is 4 or 5. OPTIONS is an object of JSON: `action` (`upload`, `abandon`), `endpoint`, `file`, `storage` (a file
// for the URLs of uploads), `stopAt` (bytes after which the process ends as if it was killed), `stream` (the file is a
// stream whose length the client does not know). Every other member goes to the client as it is.
//
// It writes a line of JSON for each thing that happens: `request` (method, status), `chunk` (offset), `success`
// (url), `error` (status, message), `terminated`.
import { createReadStream } from "node:fs";
import { createHash } from "node:crypto";
import { PassThrough } from "node:stream";
import * as four from "tus-js-client-4";
import * as five from "tus-js-client-5";
import { FileUrlStorage as FiveStorage } from "tus-js-client-5/node/FileUrlStorage";

const [version, text] = process.argv.slice(2);
const { action = "upload", file, storage, stopAt, stream, ...options } = JSON.parse(text);
const tus = version === "4" ? four.default ?? four : five;
const Storage = version === "4" ? tus.FileUrlStorage : FiveStorage;

const say = (event, rest = {}) => console.log(JSON.stringify({ event, ...rest }));
const statusOf = (error) => error.originalResponse?.getStatus() ?? null;

const bytes = createReadStream(file);
const upload = new tus.Upload(stream ? bytes.pipe(new PassThrough()) : bytes, {
  retryDelays: [0, 100, 200, 400],
  removeFingerprintOnSuccess: true,
  ...(storage && {
    urlStorage: new Storage(storage),
    fingerprint: async () => createHash("sha256").update(file).digest("hex"),
  }),
  ...(stream && { uploadLengthDeferred: true }),
  ...options,
  onAfterResponse: (request, response) =>
    say("request", { method: request.getMethod(), status: response.getStatus() }),
  onChunkComplete: (_, offset) => {
    say("chunk", { offset });
    if (stopAt !== undefined && offset >= stopAt) process.exit(7);
    if (action === "abandon") abandon();
  },
  onError: (error) => {
    say("error", { status: statusOf(error), message: error.message });
    process.exit(1);
  },
  onSuccess: () => say("success", { url: upload.url }),
});

async function abandon() {
  await upload.abort(true);
  say("terminated", { url: upload.url });
  process.exit(0);
}

if (storage) {
  const previous = await upload.findPreviousUploads();
  if (previous.length > 0) {
    say("resumes", { url: previous[0].uploadUrl });
    upload.resumeFromPreviousUpload(previous[0]);
  }
}
upload.start();
