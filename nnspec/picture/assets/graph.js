function refresh() {
  drawAll();
}

document.getElementById("name").textContent = data.name;
document.getElementById("open").addEventListener("click", () => { openAll(600); refresh(); });
document.getElementById("fold").addEventListener("click", () => { foldAll(); refresh(); });
refresh();
