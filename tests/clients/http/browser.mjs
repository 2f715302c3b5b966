// Uploads files from pages in Chromium, as a person would who chooses them there.
//
//   node browser.mjs uppy    a page with Uppy
//   node browser.mjs form    a page with a form and no script
//
// The pages come from a server of this script, so they are of another origin than what they upload to. The script
// writes `{"event":"origin","origin":URL}`, so that a server can be started that allows it, and then reads a line:
// `{"target":URL,"files":[PATH],"options":OBJECT}`, where `options` go to @uppy/tus. It writes a line of JSON for each
// thing that happens: `console` (text), `failed` (the method of a request), `complete` (of Uppy: `successful` and
// `failed` are numbers of files), `answer` (to the form: status, text).
import { createServer } from "node:http";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { chromium } from "playwright-core";

const FLAGS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

const say = (event, rest = {}) => console.log(JSON.stringify({ event, ...rest }));
const kind = process.argv[2];
const input = createInterface({ input: process.stdin })[Symbol.asyncIterator]();

const here = dirname(fileURLToPath(import.meta.url));
const script =
  kind === "uppy" &&
  (
    await build({
      stdin: { contents: "export * from './uppy_page.mjs'", resolveDir: here },
      bundle: true,
      format: "iife",
      write: false,
    })
  ).outputFiles[0].text;

const pages = {
  "/uppy": () => `<!doctype html><meta charset=utf-8><input type=file multiple><script src=/script></script>`,
  "/script": () => script,
  "/form": (url) =>
    `<!doctype html><meta charset=utf-8><form method=post enctype=multipart/form-data action="${url.searchParams.get("action")}">` +
    `<input type=text name=note value=hello><input type=file name=file multiple><button>Send</button></form>`,
};
const server = createServer((request, response) => {
  const url = new URL(request.url, "http://localhost");
  const page = pages[url.pathname];
  response.writeHead(page ? 200 : 404, {
    "Content-Type": url.pathname === "/script" ? "text/javascript" : "text/html",
  });
  response.end(page?.(url));
});
await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
const origin = `http://127.0.0.1:${server.address().port}`;
say("origin", { origin });
const { target, files, options } = JSON.parse((await input.next()).value);

const profile = mkdtempSync(join(tmpdir(), "chromium-"));
const browser = await chromium.launchPersistentContext(profile, {
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  headless: true,
  args: FLAGS,
});
try {
  const page = await browser.newPage();
  page.on("console", (message) => say("console", { text: message.text() }));
  page.on("requestfailed", (request) => say("failed", { method: request.method() }));
  if (kind === "form") {
    await page.goto(`${origin}/form?action=${encodeURIComponent(target)}`);
    await page.setInputFiles("input[type=file]", files);
    const [answer] = await Promise.all([
      page.waitForResponse((response) => response.url().startsWith(target)),
      page.click("button"),
    ]);
    await page.waitForLoadState();
    say("answer", { status: answer.status(), text: await page.innerText("body") });
  } else {
    await page.goto(`${origin}/uppy`);
    await page.exposeFunction("report", (event, rest) => say(event, rest));
    await page.setInputFiles("input[type=file]", files);
    await page.evaluate(([target, options]) => globalThis.send(target, options), [target, options]);
  }
} finally {
  await browser.close();
  server.close();
  rmSync(profile, { recursive: true, force: true });
}
process.exit(0);
