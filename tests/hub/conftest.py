"""A server that speaks as much of the Hub as its library needs to make, fill and read repositories of models."""

import base64
import hashlib
import json
import re
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

TOKEN = "hf_of-these-tests"


@dataclass
class Repository:
    private: bool = False
    gated: bool = False
    # Commits in order: id -> name -> bytes.
    commits: dict = field(default_factory=dict)

    @property
    def head(self):
        return next(reversed(self.commits), None)

    def commit(self, files):
        """Files that are named are put, all others stay."""
        whole = {**self.commits.get(self.head, {}), **files}
        name = hashlib.sha1(repr((len(self.commits), sorted(whole))).encode()).hexdigest()
        self.commits[name] = whole
        return name

    def named(self, revision):
        return self.head if revision == "main" else revision if revision in self.commits else None


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.repositories, self.large, self.requests, self.failing = {}, {}, [], None
        self.pause, self.times = 0.0, []

    def asked(self, part):
        """When a path that holds `part` was first asked for."""
        return next(when for when, (_, path) in zip(self.times, self.requests, strict=True) if part in path)

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *words):
        pass

    def answer(self, status, body=b"", **headers):
        if not isinstance(body, bytes):
            body = json.dumps(body).encode()
            headers["Content-Type"] = "application/json"
        self.send_response(status)
        headers.setdefault("Content-Length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command == "HEAD":
            return
        # A slow server sends a tenth of a megabyte at a time.
        step = 100_000 if self.server.pause else max(len(body), 1)
        for start in range(0, len(body), step):
            self.wfile.write(body[start : start + step])
            time.sleep(self.server.pause)

    def refuse(self, status, code, text):
        self.answer(status, {"error": text}, X_Error_Code=code, X_Error_Message=text)

    @property
    def is_known(self):
        return self.headers.get("authorization") == f"Bearer {TOKEN}"

    def handle_any(self):
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length)
        if self.headers.get("Transfer-Encoding") == "chunked":
            while size := int(self.rfile.readline(), 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        path = self.path.partition("?")[0]
        self.server.requests.append((self.command, path))
        self.server.times.append(time.monotonic())
        if self.server.failing and re.search(self.server.failing, f"{self.command} {path}"):
            return self.answer(500, {"error": "broken"})
        for method, pattern, answer in ROUTES:
            found = re.fullmatch(pattern, path)
            if found and self.command in method.split():
                return answer(self, body, **found.groupdict())
        return self.answer(404, {"error": f"no route {self.command} {path}"})

    do_GET = do_HEAD = do_POST = do_PUT = handle_any

    def repository(self, repo, write=False):
        found = self.server.repositories.get(repo)
        if found is None or ((found.private or write) and not self.is_known):
            self.refuse(401 if not self.is_known else 404, "RepoNotFound", "Repository not found")
            return None
        if found.gated:
            self.refuse(403, "GatedRepo", "Access to it is restricted")
            return None
        return found

    def create(self, body):
        asked = json.loads(body)
        if not self.is_known:
            return self.answer(401, {"error": "Invalid user token."})
        name = f"{asked.get('organization') or 'me'}/{asked['name']}"
        if name in self.server.repositories:
            return self.answer(
                409, {"error": "You already created this model repo", "url": f"{self.server.url}/{name}"}
            )
        private = asked.get("private", False) or asked.get("visibility") == "private"
        self.server.repositories[name] = Repository(private)
        self.server.repositories[name].commit({".gitattributes": b""})
        return self.answer(200, {"url": f"{self.server.url}/{name}"})

    def info(self, body, repo, revision="main"):
        if (found := self.repository(repo)) is None:
            return
        commit = found.named(revision)
        if commit is None and found.head is not None:
            return self.refuse(404, "RevisionNotFound", "Revision not found")
        names = [{"rfilename": name} for name in found.commits.get(commit, ())]
        self.answer(200, {"id": repo, "sha": commit, "private": found.private, "siblings": names})

    def tree(self, body, repo, revision):
        if (found := self.repository(repo)) is None:
            return
        files = found.commits.get(found.named(revision), {})
        self.answer(
            200,
            [
                {"type": "file", "path": name, "size": len(content), "oid": hashlib.sha1(content).hexdigest()}
                for name, content in files.items()
            ],
        )

    def resolve(self, body, repo, revision, file):
        if (found := self.repository(repo)) is None:
            return
        commit = found.named(revision)
        content = found.commits.get(commit, {}).get(file)
        if content is None:
            return self.refuse(404, "EntryNotFound", "Entry not found")
        etag = f'"{hashlib.sha256(content).hexdigest()}"'
        self.answer(200, content, X_Repo_Commit=commit, ETag=etag)

    def validate(self, body):
        header = json.loads(body)["content"].split("---")[1]
        self.answer(200, {"errors": [] if "library_name: iin-cli" in header else [{"message": "bad"}], "warnings": []})

    def preupload(self, body, repo, revision):
        if self.repository(repo, write=True) is None:
            return
        files = [
            {
                "path": each["path"],
                "uploadMode": "lfs" if each["path"].endswith(".safetensors") else "regular",
                "shouldIgnore": False,
            }
            for each in json.loads(body)["files"]
        ]
        self.answer(200, {"files": files})

    def batch(self, body, repo):
        if self.repository(repo, write=True) is None:
            return
        objects = [
            {**each, "actions": {"upload": {"href": f"{self.server.url}/large/{each['oid']}", "header": {}}}}
            for each in json.loads(body)["objects"]
        ]
        self.answer(200, {"transfer": "basic", "objects": objects})

    def put(self, body, oid):
        assert hashlib.sha256(body).hexdigest() == oid
        self.server.large[oid] = body
        self.answer(200)

    def commit(self, body, repo, revision):
        if (found := self.repository(repo, write=True)) is None:
            return
        files = {}
        for line in map(json.loads, body.splitlines()):
            value = line["value"]
            if line["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "lfsFile":
                files[value["path"]] = self.server.large[value["oid"]]
        commit = found.commit(files)
        self.answer(200, {"commitUrl": f"{self.server.url}/{repo}/commit/{commit}", "commitOid": commit})


REPO = r"(?P<repo>[^/]+/[^/]+)"
ROUTES = (
    ("POST", "/api/repos/create", Handler.create),
    ("POST", "/api/validate-yaml", Handler.validate),
    ("GET", f"/api/models/{REPO}", Handler.info),
    ("GET", f"/api/models/{REPO}/revision/(?P<revision>[^/]+)", Handler.info),
    ("GET", f"/api/models/{REPO}/tree/(?P<revision>[^/]+)", Handler.tree),
    ("POST", f"/api/models/{REPO}/preupload/(?P<revision>[^/]+)", Handler.preupload),
    ("POST", f"/api/models/{REPO}/commit/(?P<revision>[^/]+)", Handler.commit),
    ("POST", f"/{REPO}[.]git/info/lfs/objects/batch", Handler.batch),
    ("PUT", "/large/(?P<oid>[0-9a-f]+)", Handler.put),
    ("GET HEAD", f"/{REPO}/resolve/(?P<revision>[^/]+)/(?P<file>.+)", Handler.resolve),
)


@pytest.fixture
def server():
    """The Hub, empty; `repositories` by name."""
    running = Server()
    thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield running
    running.shutdown()
    running.server_close()
    thread.join()


@pytest.fixture
def hub_environment(server):
    """What a process must have in its environment to meet that server, with a token that may write."""
    # Its own protocol for large files needs another server.
    return {"HF_ENDPOINT": server.url, "HF_HUB_DISABLE_XET": "1", "HF_TOKEN": TOKEN, "HF_HUB_DISABLE_TELEMETRY": "1"}


@pytest.fixture
def put(server):
    """Put files on the Hub: `put("me/digits", {"translator.safetensors": path})`."""

    def put(repository, files, **facts):
        found = server.repositories.setdefault(repository, Repository(**facts))
        return found.commit(
            {name: path if isinstance(path, bytes) else path.read_bytes() for name, path in files.items()}
        )

    return put
