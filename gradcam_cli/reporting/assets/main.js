// Switching between views, the keyboard, and the first drawing.

let lastEntry = null; // its card gets the focus when the gallery is shown

function draw() {
  const previousView = document.body.dataset.view;
  const view = currentView();
  document.body.dataset.view = view;
  for (const id of ["gallery", "detail", "summary"]) byId(id).hidden = id !== view;
  if (view === "detail") drawDetail();
  if (view === "gallery") drawGallery();
  else byId("cards").replaceChildren(); // limits the number of nodes
  if (view === "summary") drawPlots();
  if (view !== "detail") stopPlaying();
  drawNavigation(view);
  if (previousView && previousView !== view) moveFocus(previousView, view);
  if (view === "detail") lastEntry = currentEntry();
}

function currentView() {
  if (currentEntry()) return "detail";
  return state.view === "summary" ? "summary" : "gallery";
}

function drawNavigation(view) {
  const title = view === "detail" ? currentEntry().name : view === "summary" ? "Summary" : "Gallery";
  document.title = `${title} – gradcam ${report.command}`;
  byId("to-gallery").href = link({ entry: "", map: "1", view: "" });
  byId("to-summary").href = link({ entry: "", map: "1", view: "summary" });
  for (const name of ["gallery", "summary"]) {
    if (view === name) byId(`to-${name}`).setAttribute("aria-current", "page");
    else byId(`to-${name}`).removeAttribute("aria-current");
  }
}

function moveFocus(previousView, view) {
  if (view === "gallery" && previousView === "detail") {
    const index = matches().indexOf(report.entries.indexOf(lastEntry)) - (currentPage() - 1) * pageSize;
    const card = byId("cards").children[index]?.firstElementChild;
    card?.focus();
    card?.scrollIntoView({ block: "center" });
    return;
  }
  if (view === "detail") byId("name").focus({ preventScroll: true });
  if (view === "summary") byId("summary-title").focus({ preventScroll: true });
  scrollTo(0, 0);
}

function onKey(event) {
  if (event.altKey || event.ctrlKey || event.metaKey || event.defaultPrevented || byId("keys").open) return;
  const inField = event.target.matches("input, select, textarea");
  const typing = event.target.matches("input:not([type=range], [type=radio], [type=checkbox]), textarea");
  const detail = document.body.dataset.view === "detail";
  if (event.key === "/" && !typing) {
    event.preventDefault();
    if (document.body.dataset.view !== "gallery") go({ entry: "", map: "1", view: "" });
    byId("q").focus();
  } else if (event.key === "?" && !typing) {
    byId("keys").showModal();
  } else if (detail && event.key === "Escape") {
    writeEdits();
    location.hash = byId("back").hash;
  } else if (detail && !typing && (event.key === "," || event.key === ".")) {
    moveBy(event.key === "." ? 1 : -1);
  } else if (detail && !inField && !event.target.matches(".scroll")) {
    if (event.key === "ArrowLeft") step(-1, event.repeat);
    if (event.key === "ArrowRight") step(1, event.repeat);
  }
}

for (const command of document.querySelectorAll("#summary pre")) {
  command.replaceChildren(...wrappableCommand(command.textContent));
}
prepareGallery();
prepareDetail();
byId("show-keys").addEventListener("click", () => byId("keys").showModal());
byId("close-keys").addEventListener("click", () => byId("keys").close());
addEventListener("hashchange", followLink);
addEventListener("resize", () => { if (document.body.dataset.view === "summary") drawPlots(); });
addEventListener("keydown", onKey);
addEventListener("click", writeEdits, true);
document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault(); // the fragment of the URL contains the view
  byId("main").focus();
});
draw();
