"""A local Hugging Face Hub with the requests for an upload and for downloads."""

import base64
import contextlib
import hashlib
import http.server
import json
import re
import threading
import urllib.parse

COMMIT = "c" * 40
LARGE = (".h5", ".safetensors")


def listed(name, content):
    """What the list of a repository's files says about one."""
    facts = {"type": "file", "path": name, "size": len(content), "oid": COMMIT}
    if name.endswith(LARGE):
        digest = hashlib.sha256(content).hexdigest()
        facts["lfs"] = {"oid": digest, "size": len(content), "pointerSize": 134}
    return facts


def commit_of(revision):
    return COMMIT if revision in ("main", COMMIT) else "d" * 40


class Hub(http.server.ThreadingHTTPServer):
    """Repositories of files. Those of weights are stored by hash, behind a redirect."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.repositories, self.blobs, self.requests = {}, {}, []

    def add(self, repository, path, content, revision="main"):
        name = repository if revision == "main" else f"{repository}@{revision}"
        self.repositories.setdefault(name, {})[path] = content


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def answer(self, content=b"", code=200, **headers):
        content = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(code)
        for key, value in {"Content-Length": len(content), **headers}.items():
            self.send_header(key.replace("_", "-"), str(value))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def handle_any(self):
        path = urllib.parse.unquote(self.path.partition("?")[0])
        self.server.requests.append((self.command, path))
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        for method, pattern, action in ROUTES:
            match = re.fullmatch(pattern, path)
            if match and self.command in method:
                action(self, body, **match.groupdict())
                return
        self.answer(code=404)

    do_GET = do_HEAD = do_POST = do_PUT = handle_any

    def resolve(self, body, repository, file, revision):
        name = repository if revision in ("main", COMMIT) else f"{repository}@{revision}"
        files = self.server.repositories.get(name)
        if files is None or file not in files:
            error = "RepoNotFound" if files is None else "EntryNotFound"
            self.answer(code=404, X_Error_Code=error)
        elif file.endswith(LARGE):
            digest = hashlib.sha256(files[file]).hexdigest()
            self.server.blobs.setdefault(digest, files[file])
            self.answer(
                code=302,
                X_Repo_Commit=commit_of(revision),
                X_Linked_Etag=f'"{digest}"',
                X_Linked_Size=len(files[file]),
                # Another host, like a CDN: the client sends no metadata request to it.
                Location=f"http://localhost:{self.server.server_port}/blobs/{digest}",
            )
        else:
            digest = hashlib.sha1(files[file], usedforsecurity=False).hexdigest()
            self.answer(files[file], X_Repo_Commit=commit_of(revision), ETag=f'"{digest}"')

    def info(self, body, repository):
        files = [{"rfilename": name} for name in self.server.repositories[repository]]
        self.answer({"id": repository, "sha": COMMIT, "siblings": files})

    def tree(self, body, repository):
        files = self.server.repositories[repository].items()
        self.answer([listed(name, content) for name, content in files])

    def create(self, body):
        asked = json.loads(body)
        repository = f"{asked['organization']}/{asked['name']}"
        self.server.repositories.setdefault(repository, {})
        self.answer({"url": f"{self.server.url}/{repository}", "name": repository})

    def validate(self, body):
        """The check of a model card's header."""
        self.answer({"errors": [], "warnings": []})

    def preupload(self, body, repository):
        files = [x["path"] for x in json.loads(body)["files"]]
        modes = {True: "lfs", False: "regular"}
        self.answer(
            {
                "files": [
                    {"path": x, "uploadMode": modes[x.endswith(LARGE)], "shouldIgnore": False}
                    for x in files
                ]
            }
        )

    def batch(self, body, repository):
        objects = json.loads(body)["objects"]
        for each in objects:
            each["actions"] = {"upload": {"href": f"{self.server.url}/blobs/{each['oid']}"}}
        self.answer({"transfer": "basic", "objects": objects})

    def store(self, body, digest):
        self.server.blobs[digest] = body
        self.answer()

    def blob(self, body, digest):
        self.answer(self.server.blobs[digest], ETag='"of-the-cdn"')

    def commit(self, body, repository):
        for line in body.splitlines():
            change = json.loads(line)
            value = change["value"]
            if change["key"] == "file":
                self.server.add(repository, value["path"], base64.b64decode(value["content"]))
            elif change["key"] == "lfsFile":
                self.server.add(repository, value["path"], self.server.blobs[value["oid"]])
        self.answer({"commitUrl": f"{self.server.url}/{repository}/commit/x", "commitOid": COMMIT})


REPOSITORY = "(?P<repository>[^/]+/[^/]+?)"
ROUTES = [
    (("HEAD", "GET"), f"/{REPOSITORY}/resolve/(?P<revision>[^/]+)/(?P<file>.+)", Handler.resolve),
    (("GET",), f"/api/models/{REPOSITORY}/revision/main", Handler.info),
    (("GET",), f"/api/models/{REPOSITORY}/tree/(main|{COMMIT})", Handler.tree),
    (("POST",), "/api/repos/create", Handler.create),
    (("POST",), "/api/validate-yaml", Handler.validate),
    (("POST",), f"/api/models/{REPOSITORY}/preupload/main", Handler.preupload),
    (("POST",), rf"/{REPOSITORY}\.git/info/lfs/objects/batch", Handler.batch),
    (("PUT",), "/blobs/(?P<digest>[0-9a-f]+)", Handler.store),
    (("HEAD", "GET"), "/blobs/(?P<digest>[0-9a-f]+)", Handler.blob),
    (("POST",), f"/api/models/{REPOSITORY}/commit/main", Handler.commit),
]


@contextlib.contextmanager
def running():
    with Hub() as hub:
        thread = threading.Thread(target=hub.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield hub
        finally:
            hub.shutdown()
            thread.join()
