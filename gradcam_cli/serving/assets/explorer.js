// The start of the page, the keyboard, and what is drawn when the view changes.

function draw() {
  if (!session) return;
  const open = view.image !== "";
  byId("welcome").hidden = open;
  for (const id of ["panels", "map-look", "below", "side"]) byId(id).hidden = !open;
  markImage();
  if (!open) return;
  drawTitle();
  drawMethods();
  drawPanels();
  drawSlices();
  drawModelCards();
  drawStrips();
  drawLook();
}

async function drawTitle() {
  const { image } = view;
  const known = shownImages().find((candidate) => candidate.id === image)?.name;
  const name = known ?? await predictionsOf(session.models[0], image).then((answer) => answer.image.name, () => "");
  if (image !== view.image) return;
  byId("title").replaceChildren(...wrappableName(name));
  document.title = name ? `${name} – gradcam` : "gradcam";
}

const keyActions = {
  "?": () => byId("key-list").showModal(),
  "/": () => byId("image-query").focus(),
  o: () => byId("file").click(),
  j: () => stepImage(1),
  k: () => stepImage(-1),
  h: toggleMap,
  c: () => session.rank > 1 && show({ contours: view.contours === "1" ? "" : "1" }),
  f: () => byId("models").querySelector(".card .class-search input")?.focus(),
  ",": () => moveBy(-1),
  ".": () => moveBy(1),
  "[": () => stepLayer(-1),
  "]": () => stepLayer(1),
};

function onKey(event) {
  if (event.altKey || event.ctrlKey || event.metaKey || event.defaultPrevented || byId("key-list").open) return;
  if (event.key === "Escape" && event.target === byId("image-query")) byId("image-query").blur();
  if (event.target.matches("input:not([type=range], [type=checkbox]), select, textarea")) return;
  if (!view.image && !["?", "o"].includes(event.key)) return;
  if (/^[1-9]$/.test(event.key)) {
    byId("models").querySelectorAll(".card .bars button")[Number(event.key) - 1]?.click();
  } else if (keyActions[event.key]) {
    event.preventDefault();
    keyActions[event.key]();
  }
}

async function start() {
  watchServer();
  prepareUpload();
  try {
    session = await sessionAnswer;
  } catch (error) {
    byId("loading").textContent = `${error.message} Reload the page to try again.`;
    return;
  }
  byId("loading").remove();
  listed = { images: session.images.slice(0, imagesPerPage), total: directorySize() };
  session.models.forEach(makeModelCard);
  session.models.forEach(makeStrip);
  prepareInputs();
  prepareImages();
  prepareMethods();
  prepareLook();
  prepareExport();
  addEventListener("hashchange", followAddress);
  addEventListener("popstate", followAddress);
  addEventListener("keydown", onKey);
  byId("list-keys").addEventListener("click", keyActions["?"]);
  document.querySelector(".skip").addEventListener("click", (event) => {
    event.preventDefault(); // the fragment of the address contains the view
    byId("picture").focus();
  });
  restoreList();
  drawImageList();
  if (!view.image && session.images.length) replaceView({ image: session.images[0].id });
  else draw();
}

start();
