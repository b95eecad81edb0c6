// Stylesheets of what is loaded later.

/** Load a stylesheet before what it is for is shown, so that nothing jumps. `path` is relative to this file. */
export function stylesheet(path) {
  const href = new URL(path, import.meta.url).href;
  if ([...document.styleSheets].some((one) => one.href === href)) return Promise.resolve();
  return new Promise((done) => {
    const link = Object.assign(document.createElement("link"), { rel: "stylesheet", href });
    link.addEventListener("load", done);
    link.addEventListener("error", done);
    document.head.append(link);
  });
}
