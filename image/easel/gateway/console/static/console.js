// The console's buttons, and the parts of the page that change by themselves. Everything on the page is written by the
// server; this swaps those parts and calls the operator API.

const byId = (id) => document.getElementById(id)
const said = byId("words").dataset
let source = null

async function look() {
  const began = performance.now()
  try {
    const answer = await fetch("/live", { cache: "no-store" })
    if (answer.status === 401) return location.reload()
    // Another language was chosen, in another tab perhaps.
    if (answer.ok && answer.headers.get("Content-Language") !== document.documentElement.lang) return location.reload()
    if (!answer.ok) throw new Error(answer.statusText)
    byId("lost").hidden = true
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html")
    const parts = [...fresh.querySelectorAll("[data-live]")]
    const shown = new Map([...document.querySelectorAll("[data-live]")].map((part) => [part.dataset.live, part]))
    // An endpoint came or went: the page itself differs.
    if (parts.length !== shown.size) return location.reload()
    for (const part of parts) {
      const old = shown.get(part.dataset.live)
      if (!old) return location.reload()
      if (old.innerHTML !== part.innerHTML) swap(old, part)
    }
  } catch {
    byId("lost").hidden = false
  }
  // A page of a thousand endpoints takes the gateway a while: it is asked for the tenth part of the time at most.
  setTimeout(look, Math.max(document.hidden ? 10000 : 1500, 10 * (performance.now() - began)))
}

function swap(old, part) {
  const focused = old.contains(document.activeElement) ? document.activeElement.dataset.logs : null
  old.innerHTML = part.innerHTML
  if (focused) old.querySelector(`[data-logs="${CSS.escape(focused)}"]`)?.focus()
}

async function call(method, path, body) {
  const headers = body ? { "Content-Type": "application/json" } : {}
  const answer = await fetch(path, { method, headers, body: body && JSON.stringify(body) })
  const content = await answer.json().catch(() => ({}))
  if (!answer.ok) throw new Error(content.words || content.detail || `${answer.status} ${answer.statusText}`)
  return content
}

async function copy(button, text) {
  await navigator.clipboard.writeText(text)
  const words = button.textContent
  button.textContent = said.copied
  setTimeout(() => (button.textContent = words), 1500)
}

function follow(which) {
  const [endpoint, replica] = which.split("/")
  byId("logs-title").textContent = said.replica.replace("{endpoint}", endpoint).replace("{replica}", replica)
  const lines = byId("lines")
  lines.textContent = ""
  source = new EventSource(`/logs/${encodeURIComponent(endpoint)}/${encodeURIComponent(replica)}/follow`)
  source.onmessage = (event) => {
    const atEnd = lines.scrollTop + lines.clientHeight >= lines.scrollHeight - 30
    lines.append(JSON.parse(event.data).map(readable).join("\n") + "\n")
    if (atEnd) lines.scrollTop = lines.scrollHeight
  }
  byId("logs").showModal()
}

// A log line is one JSON object: its words first, the rest behind.
function readable(line) {
  try {
    const { event, message, timestamp, level, ...rest } = JSON.parse(line)
    const said = event ?? message
    if (said === undefined) return line
    const more = Object.entries(rest).map(([key, value]) => `${key}=${typeof value === "string" ? value : JSON.stringify(value)}`)
    return [String(timestamp ?? "").slice(11, 19), level && level !== "info" ? level.toUpperCase() : "", said, ...more].filter(Boolean).join("  ")
  } catch {
    return line
  }
}

byId("language").addEventListener("change", (event) => {
  const secure = location.protocol === "https:" ? "; Secure" : ""
  document.cookie = `${said.cookie}=${event.target.value}; Path=/; Max-Age=31536000; SameSite=Lax${secure}`
  location.reload()
})

// When it was, by the clock of whoever points at it.
document.addEventListener("pointerover", (event) => {
  const time = event.target.closest?.("time[datetime]:not([title])")
  if (time) time.title = new Date(time.dateTime).toLocaleString(document.documentElement.lang, { dateStyle: "medium", timeStyle: "medium" })
})

byId("logs").addEventListener("close", () => source?.close())

document.addEventListener("click", async (event) => {
  const button = event.target.closest("button")
  if (!button) return
  const endpoint = button.closest("[data-endpoint]")?.dataset.endpoint
  const { copy: text, copyFrom, do: verb, logs, revoke } = button.dataset
  if (text) return copy(button, text)
  if (copyFrom) return copy(button, byId(copyFrom).textContent)
  if (logs) return follow(logs)
  if (verb === "close") return button.closest("dialog").close()
  if (verb) {
    button.disabled = true
    await call("POST", `/api/endpoints/${encodeURIComponent(endpoint)}/${verb}`).catch((error) => alert(error.message))
    setTimeout(() => (button.disabled = false), 1000)
  }
  if (revoke && confirm(said.sure.replace("{name}", revoke))) {
    await call("DELETE", `/api/tokens/${encodeURIComponent(endpoint)}/${encodeURIComponent(revoke)}`).catch((error) => alert(error.message))
    location.hash = endpoint
    location.reload()
  }
})

document.addEventListener("submit", async (event) => {
  event.preventDefault()
  const form = event.target
  const endpoint = form.closest("[data-endpoint]").dataset.endpoint
  const wrong = form.querySelector(".wrong")
  wrong.hidden = true
  try {
    const { token, link } = await call("POST", "/api/tokens", { endpoint, name: form.name.value, expires: form.expires.value || null })
    byId("plain").textContent = token
    byId("made-link").dataset.copy = link
    location.hash = endpoint
    byId("made").addEventListener("close", () => location.reload(), { once: true })
    byId("made").showModal()
  } catch (error) {
    wrong.textContent = error.message
    wrong.hidden = false
  }
})

// After a reload the tokens somebody was busy with are open again.
byId(location.hash.slice(1))?.querySelector("details")?.setAttribute("open", "")
setTimeout(look, 1500)
