// Often used filters as links with their counts: what went wrong, what changed, the least certain predictions.

let quickFilters = []; // { text, changes }

function prepareQuickFilters() {
  const count = (status) => report.entries.filter(statusFilters[status]).length;
  const byStatus = { changed: "class changed", threshold: "failed thresholds", zero: "zero maps", failed: "failed" };
  const certain = report.entries.some((entry) => certaintyOf(entry) !== null);
  quickFilters = [
    ...(certain ? [{ text: "least certain first", changes: { sort: "certainty", order: "ascending" } }] : []),
    ...report.truth_states.filter((each) => each.value !== "right")
      .map((each) => ({ text: `${each.value} ${each.count}`, changes: { truth: each.value } })),
    ...Object.entries(byStatus).map(([status, text]) => ({ text, number: count(status), changes: { status } }))
      .filter((each) => each.number).map((each) => ({ ...each, text: `${each.text} ${each.number}` })),
  ];
}

/** Draw the links; that of an active filter removes it. */
function drawQuickFilters() {
  byId("quick").replaceChildren(...quickFilters.map(({ text, changes }) => {
    const active = Object.entries(changes).every(([key, value]) => state[key] === value);
    const reset = Object.fromEntries(Object.keys(changes).map((key) => [key, key === "truth" ? "all" : defaults[key]]));
    const target = link({ ...(active ? reset : changes), page: "1" });
    return make("li", {}, make("a", { href: target, ...(active ? { "aria-current": "true" } : {}) }, text));
  }));
  byId("quick").hidden = !quickFilters.length;
}
