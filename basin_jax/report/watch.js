// Loads a watched page anew when it has changed, and only then.
(() => {
  const said = Object.assign(document.createElement("p"), { className: "quiet controls", id: "watched" });
  document.querySelector("h1").after(said);
  const ask = async () => {
    try {
      const answer = await fetch(location.pathname, { method: "HEAD", cache: "no-store" });
      if (answer.headers.get("ETag") !== ETAG) location.reload();
      said.textContent = "Watched: the page follows its folder.";
    } catch {
      said.textContent = "No longer watched: basin-jax watch has ended.";
    }
  };
  ask();
  setInterval(ask, 2000);
})();
