// Steps through an exported page as the UI steps through a lesson: what goes on also shows an open answer.
"use strict";
(() => {
  const steps = [...document.querySelectorAll("section")];
  const [back, next] = document.querySelectorAll("nav button");
  const place = document.querySelector("nav output");
  let at = 0;

  const answer = () => steps[at].querySelector("details");

  // Closes the question again: who comes back may guess again.
  const ask = () => {
    const details = answer();
    if (!details) return;
    details.open = false;
    details.querySelector(".verdict").textContent = "It is ";
    for (const button of steps[at].querySelectorAll("ol button")) button.className = "";
  };

  const show = (to) => {
    if (to < 0 || to >= steps.length) return;
    at = to;
    ask();
    steps.forEach((step, n) => step.classList.toggle("shown", n === at));
    back.disabled = at === 0;
    next.disabled = at === steps.length - 1 && !answer();
    place.textContent = `${at + 1} of ${steps.length}`;
    // A number is no element's name, so the browser scrolls nowhere.
    history.replaceState(null, "", `#${at + 1}`);
    scrollTo(0, 0);
  };

  const forward = () => {
    const details = answer();
    if (details && !details.open) details.open = true;
    else show(at + 1);
  };

  const choose = (n) => {
    const details = answer();
    const buttons = [...steps[at].querySelectorAll("ol button")];
    if (!details || details.open || n < 1 || n > buttons.length) return;
    const right = Number(details.dataset.right);
    buttons[n - 1].className = n === right ? "right" : "wrong";
    buttons[right - 1].className = "right";
    details.querySelector(".verdict").textContent = n === right ? "Right: " : "No, it is ";
    details.open = true;
  };

  addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    const onButton = event.target.closest("button, summary");
    switch (event.key) {
      case " ":
      case "Enter":
        if (onButton) return;
      // falls through
      case "ArrowRight":
      case "PageDown":
        forward();
        break;
      case "ArrowLeft":
      case "PageUp":
      case "Backspace":
        show(at - 1);
        break;
      case "Home":
        show(0);
        break;
      case "End":
        show(steps.length - 1);
        break;
      default:
        if (!/^[1-9]$/.test(event.key)) return;
        choose(Number(event.key));
    }
    event.preventDefault();
  });
  back.addEventListener("click", () => show(at - 1));
  next.addEventListener("click", forward);
  for (const button of document.querySelectorAll("ol button")) {
    button.addEventListener("click", () => choose(Number(button.value)));
  }
  const wanted = () => Number(/\d+$/.exec(location.hash) ?? 1) - 1;
  addEventListener("hashchange", () => show(wanted()));
  document.body.classList.add("stepping");
  show(Math.min(Math.max(wanted(), 0), steps.length - 1));
})();
