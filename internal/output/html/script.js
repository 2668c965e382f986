"use strict";
// Filters the findings. What is chosen stands in the address, so that it can be kept and passed on.
const filter = document.getElementById("filter");
const selects = [...filter.querySelectorAll("select")];
const subjects = [...document.querySelectorAll(".subject")];
const findings = [...document.querySelectorAll(".subject li")];
const unfolded = subjects.map(s => s.open);
const frameworks = new Map([...filter.querySelectorAll("[data-frameworks]")].map(o => [o.value, o.dataset.frameworks.split(" ")]));

function apply() {
  const chosen = Object.fromEntries(selects.map(s => [s.name, s.value]));
  let shown = 0;
  for (const section of document.querySelectorAll(".namespace")) {
    let any = false;
    const here = !chosen.namespace || section.dataset.namespace === chosen.namespace;
    for (const finding of section.querySelectorAll("li")) {
      const fits = here && (!chosen.severity || finding.dataset.severity === chosen.severity) &&
        (!chosen.check || finding.dataset.check === chosen.check) &&
        (!chosen.framework || (frameworks.get(finding.dataset.check) || []).includes(chosen.framework));
      finding.hidden = !fits;
      shown += fits ? 1 : 0;
      any = any || fits;
    }
    section.hidden = !any;
  }
  const filtered = selects.some(s => s.value);
  subjects.forEach((subject, i) => {
    subject.hidden = !subject.querySelector("li:not([hidden])");
    subject.open = filtered || unfolded[i];
  });
  document.getElementById("shown").value = `${shown} of ${findings.length} listed findings`;
  document.getElementById("none").hidden = shown > 0 || findings.length === 0;
}

function remember() {
  const parts = new URLSearchParams(selects.filter(s => s.value).map(s => [s.name, s.value]));
  history.replaceState(null, "", "#" + (parts.toString() || "findings"));
  apply();
}

function recall() {
  if (!location.hash.includes("=")) {
    return; // it leads to a part of the page
  }
  const parts = new URLSearchParams(location.hash.slice(1));
  for (const select of selects) {
    select.value = parts.get(select.name) || "";
  }
  apply();
}

filter.addEventListener("change", remember);
document.getElementById("reset").addEventListener("click", () => {
  selects.forEach(s => { s.value = ""; });
  remember();
});
document.getElementById("unfold").addEventListener("click", () => subjects.forEach(s => { s.open = true; }));
document.getElementById("fold").addEventListener("click", () => subjects.forEach(s => { s.open = false; }));
addEventListener("hashchange", recall);
filter.hidden = findings.length === 0;
apply();
recall();
