// The list of images: those that were dropped here, and those of the directory, a page at a time.

const imagesPerPage = 60;
const dropped = []; // images that this tab uploaded
let listed = { images: [], total: 0 }; // the page of the directory that is shown
let imageOffset = 0;
let imagesRequest = null; // of the newest search
let searchTimer = 0;

const directorySize = () => session.images.length + session.more_images;

function prepareImages() {
  byId("image-query").addEventListener("input", () => {
    clearTimeout(searchTimer);
    searchTimer = setTimeout(() => listImages(0), 150);
  });
  byId("images-before").addEventListener("click", () => listImages(imageOffset - imagesPerPage));
  byId("images-after").addEventListener("click", () => listImages(imageOffset + imagesPerPage));
}

/** Show the page of the list that the address names. */
function restoreList() {
  byId("image-query").value = view.find;
  if (view.find || Number(view.from) > 0) listImages(Math.floor(Number(view.from)) || 0);
}

/** Show the images from an offset that match the search. */
async function listImages(offset) {
  imagesRequest?.abort();
  imagesRequest = new AbortController();
  const query = byId("image-query").value.trim();
  const parameters = { offset, limit: imagesPerPage, query };
  try {
    listed = await requestJson("images", parameters, { signal: imagesRequest.signal });
  } catch (error) {
    sayError(error);
    return;
  }
  imageOffset = offset;
  drawImageList();
  byId("image-list").scrollTo(0, 0);
}

function drawImageList() {
  const images = shownImages();
  const { total } = listed;
  byId("images").hidden = !directorySize() && !dropped.length;
  byId("image-list").replaceChildren(...images.map(makeImageItem));
  byId("image-count").textContent = imageCount();
  byId("image-query").hidden = directorySize() < 2;
  byId("image-pages").hidden = total <= imagesPerPage;
  byId("image-range").textContent = `${imageOffset + 1}–${imageOffset + listed.images.length} of ${total}`;
  byId("images-before").disabled = imageOffset === 0;
  byId("images-after").disabled = imageOffset + imagesPerPage >= total;
  markImage();
}

function imageCount() {
  if (byId("image-query").value.trim()) return listed.total ? `${listed.total} found` : "No image has this name.";
  return directorySize() ? `${directorySize()} in ${session.directory}` : "";
}

/** Return the images of the list, in its order: dropped ones first. */
function shownImages() {
  const ids = new Set(dropped.map((image) => image.id));
  return [...dropped, ...listed.images.filter((image) => !ids.has(image.id))];
}

function makeImageItem(image) {
  const name = image.name.slice(image.name.lastIndexOf("/") + 1).replace(/(\.nii)?\.\w{1,5}$/, "");
  const address = apiAddress(`images/${image.id}/thumbnail`);
  const button = make("button", { type: "button", title: image.name, "data-image": image.id },
    make("img", { src: address, alt: "", loading: "lazy", decoding: "async" }),
    makeText("span", cutMiddle(name, 12), { "aria-hidden": "true" }),
    makeText("span", image.name, { class: "hidden" }));
  button.addEventListener("click", () => openImage(image));
  return make("li", {}, button);
}

/** Mark the shown image in the list. */
function markImage() {
  for (const button of byId("image-list").querySelectorAll("button")) {
    const shown = button.dataset.image === view.image;
    if (shown && !button.hasAttribute("aria-current")) scrollWithin(byId("image-list"), button);
    if (shown) button.setAttribute("aria-current", "true");
    else button.removeAttribute("aria-current");
  }
}

/** Show another image: classes chosen for the last one do not stay, layers and methods do. */
function openImage(image) {
  const find = byId("image-query").value.trim();
  const changes = { image: image.id, axis: "", slice: "", from: imageOffset ? String(imageOffset) : "", find };
  for (const model of session.models) Object.assign(changes, forModel(model, { class: "", against: "" }));
  show(changes);
}

/** Show the image before or after this one. */
async function stepImage(by) {
  const position = shownImages().findIndex((image) => image.id === view.image);
  const next = position + by;
  if (next < 0 && imageOffset > 0) {
    await listImages(imageOffset - imagesPerPage);
    openImage(shownImages().at(-1));
  } else if (position !== -1 && next >= shownImages().length && imageOffset + imagesPerPage < listed.total) {
    await listImages(imageOffset + imagesPerPage);
    openImage(listed.images[0]);
  } else if (shownImages()[Math.max(next, 0)]) {
    openImage(shownImages()[Math.max(next, 0)]);
  }
}
