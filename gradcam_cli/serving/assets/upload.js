// Images from outside the directory: dropped on the window, pasted, or chosen as a file.

function prepareUpload() {
  for (const id of ["open", "choose"]) byId(id).addEventListener("click", () => byId("file").click());
  byId("file").addEventListener("change", () => {
    uploadAll([...byId("file").files]);
    byId("file").value = ""; // the same file may be chosen again
  });
  addEventListener("paste", (event) => uploadAll([...(event.clipboardData?.files ?? [])]));
  prepareDrop();
}

function prepareDrop() {
  let entered = 0; // elements of the page between which the pointer moves
  const hasFiles = (event) => [...(event.dataTransfer?.types ?? [])].includes("Files");
  const setEntered = (count) => {
    entered = count;
    byId("drop").hidden = entered <= 0;
  };
  addEventListener("dragenter", (event) => hasFiles(event) && setEntered(entered + 1));
  addEventListener("dragleave", (event) => hasFiles(event) && setEntered(entered - 1));
  addEventListener("dragover", (event) => event.preventDefault());
  addEventListener("drop", (event) => {
    event.preventDefault(); // the browser would leave the page
    setEntered(0);
    const files = [...(event.dataTransfer?.files ?? [])];
    if (files.length) uploadAll(files);
    else say("Only files can be dropped here: save the picture first.", true);
  });
}

/** Send files to the server and show the first one that is an image. */
async function uploadAll(files) {
  let first = null;
  await sessionAnswer;
  for (const file of files) {
    const image = await upload(file);
    first ??= image;
  }
  if (first) openImage(first);
}

async function upload(file) {
  if (file.size > session.max_upload) {
    const limit = megabytes(session.max_upload);
    say(`${file.name} has ${megabytes(file.size)} MB; files of up to ${limit} MB can be opened.`, true);
    return null;
  }
  say(`Opening ${file.name} …`);
  const headers = { "X-File-Name": encodeURIComponent(file.name.toWellFormed?.() ?? file.name) };
  try {
    const image = await requestJson("images", {}, { method: "POST", body: file, headers });
    if (!dropped.some((other) => other.id === image.id)) dropped.unshift(image);
    drawImageList();
    say("");
    return image;
  } catch (error) {
    sayError(error);
    return null;
  }
}

const megabytes = (bytes) => (bytes / 1e6).toFixed(1);
