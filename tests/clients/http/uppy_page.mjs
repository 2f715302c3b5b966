// What the page with Uppy runs: `send` uploads the files that are chosen in the page's input.
import Uppy from "@uppy/core";
import Tus from "@uppy/tus";

globalThis.send = async (endpoint, options) => {
  const uppy = new Uppy({ autoProceed: false });
  uppy.use(Tus, { endpoint, retryDelays: [0, 100, 200, 400], ...options });
  for (const data of document.querySelector("input").files) {
    uppy.addFile({ name: data.name, type: data.type, data });
  }
  uppy.on("upload-error", (file, error) => report("error", { message: error.message }));
  const { successful, failed } = await uppy.upload();
  await report("complete", { successful: successful.length, failed: failed.length });
};
