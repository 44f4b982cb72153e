"use strict";
for (const choice of document.querySelectorAll("input[name=shown]")) {
  choice.addEventListener("change", () => { document.body.className = choice.value; });
}
// a line that the timeline leads to may be one that is not shown
addEventListener("hashchange", () => {
  document.body.className = "";
  document.querySelector("input[name=shown][value='']").checked = true;
  document.querySelector(location.hash)?.scrollIntoView({ block: "center" });
});
