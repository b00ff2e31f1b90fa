// Which view is shown, the keyboard, and the start.

let lastEntry = null; // whose card takes the focus on the way back

function draw() {
  const before = document.body.dataset.view;
  const view = viewOf();
  document.body.dataset.view = view;
  for (const id of ["gallery", "detail", "summary"]) byId(id).hidden = id !== view;
  if (view === "detail") drawDetail();
  if (view === "gallery") drawGallery();
  else byId("cards").replaceChildren(); // few nodes at once
  drawNavigation(view);
  if (before && before !== view) moveFocus(before, view);
  if (view === "detail") lastEntry = shownEntry();
}

function viewOf() {
  if (shownEntry()) return "detail";
  return state.view === "summary" ? "summary" : "gallery";
}

function drawNavigation(view) {
  const title = view === "detail" ? shownEntry().name : view === "summary" ? "Summary" : "Gallery";
  document.title = `${title} – gradcam ${report.command}`;
  byId("to-gallery").href = link({ entry: "", map: "1", view: "" });
  byId("to-summary").href = link({ entry: "", map: "1", view: "summary" });
  for (const name of ["gallery", "summary"]) {
    if (view === name) byId(`to-${name}`).setAttribute("aria-current", "page");
    else byId(`to-${name}`).removeAttribute("aria-current");
  }
}

function moveFocus(before, view) {
  if (view === "gallery" && before === "detail") {
    const place = matches().indexOf(report.entries.indexOf(lastEntry)) - (pageShown() - 1) * pageSize;
    const card = byId("cards").children[place]?.firstElementChild;
    card?.focus();
    card?.scrollIntoView({ block: "center" });
    return;
  }
  if (view === "detail") byId("name").focus({ preventScroll: true });
  if (view === "summary") byId("summary-title").focus({ preventScroll: true });
  scrollTo(0, 0);
}

function onKey(event) {
  if (event.altKey || event.ctrlKey || event.metaKey || event.defaultPrevented) return;
  const inField = event.target.matches("input, select, textarea");
  const typing = event.target.matches("input:not([type=range], [type=radio], [type=checkbox]), textarea");
  const detail = document.body.dataset.view === "detail";
  if (event.key === "/" && !typing) {
    event.preventDefault();
    if (document.body.dataset.view !== "gallery") go({ entry: "", map: "1", view: "" });
    byId("q").focus();
  } else if (detail && event.key === "Escape") {
    writeEdits();
    location.hash = byId("back").hash;
  } else if (detail && !inField && !event.target.matches(".scroll")) {
    if (event.key === "ArrowLeft") step(-1, event.repeat);
    if (event.key === "ArrowRight") step(1, event.repeat);
  }
}

prepareGallery();
prepareDetail();
addEventListener("hashchange", followLink);
addEventListener("keydown", onKey);
addEventListener("click", writeEdits, true);
document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault(); // the fragment holds the view
  byId("main").focus();
});
draw();
