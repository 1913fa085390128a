// The server's addresses, and what its silence means.

// What the server refuses, in three sentences: what happened, why, what to do.
export class Fault extends Error {
  constructor({ what = "this failed", why = "", fix = "" }, status) {
    super([what, why].filter(Boolean).join(": "));
    Object.assign(this, { what, why, fix, status });
  }
}

// Nobody answers.
export class Away extends Error {}

export class Server {
  constructor(tab, fetching = (...given) => fetch(...given)) {
    this.tab = tab;
    this.fetching = fetching;
  }

  translator() {
    return this.#json("/api/translator");
  }

  shelf(offset, n) {
    return this.#json(`/api/shelf?offset=${offset}&n=${n}`);
  }

  health() {
    return this.#json("/api/health");
  }

  edit(body, number) {
    return this.#post("/api/edit", { ...body, tab: this.tab, number });
  }

  grid(body) {
    return this.#post("/api/grid", body);
  }

  upload(file) {
    return this.#json("/api/upload", { method: "POST", body: file });
  }

  async picture(id) {
    return (await this.#ask(imageAddress(id))).blob();
  }

  #post(address, body) {
    const headers = { "content-type": "application/json" };
    return this.#json(address, { method: "POST", headers, body: JSON.stringify(body) });
  }

  async #json(address, options) {
    const response = await this.#ask(address, options);
    try {
      return await response.json();
    } catch (error) {
      throw error instanceof SyntaxError ? new Fault({ why: "the server's answer is no JSON" }, 500) : new Away();
    }
  }

  async #ask(address, options) {
    let response;
    try {
      response = await this.fetching(address, { credentials: "same-origin", ...options });
    } catch {
      throw new Away();
    }
    if (response.ok) return response;
    const told = await response.json().catch(() => ({}));
    throw new Fault(told.error ?? { why: `the server answers ${response.status}` }, response.status);
  }
}

export function imageAddress(id) {
  return `/api/image/${encodeURIComponent(id).replace(/%3A/g, ":")}`;
}
