// A plain script, because a browser loads no module from a file: it can tell the user why the page does not work.
(() => {
  const say = (text) => {
    document.getElementById("verdict").hidden = true;
    const problem = document.getElementById("problem");
    problem.textContent = text;
    problem.hidden = false;
  };
  if (location.protocol === "file:") {
    say(
      "Opened as a file, a page may not load a model: serve its folder instead. In that folder, run " +
        "python -m http.server --bind 127.0.0.1 and open http://127.0.0.1:8000/",
    );
  } else if (typeof WebAssembly === "undefined") {
    say("This browser has no WebAssembly, which runs the network: use another one, or allow it in the settings.");
  } else {
    import("./app.js").catch((error) => say(`The page could not be loaded whole (${error.message}): load it again.`));
  }
})();
