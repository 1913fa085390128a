import pytest

from iin_cli.explorer.guard import HEADERS

HOST = "http://127.0.0.1:8420"


def test_the_token_is_changed_for_a_cookie(open_page):
    page = open_page(token=None)
    assert page.get("/").status_code == 403
    assert "iin explore" in page.get("/").text
    assert page.get("/api/health").status_code == 403
    assert page.get("/page/index.html").status_code == 403
    wrong = page.get("/", params={"token": "x" * 24}, follow_redirects=False)
    assert (wrong.status_code, "set-cookie" in wrong.headers) == (403, False)
    right = page.get("/", params={"token": "t" * 24}, follow_redirects=False)
    assert (right.status_code, right.headers["location"]) == (303, "/")
    cookie = right.headers["set-cookie"].lower()
    assert cookie.startswith("iin-explore-8420=")
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert page.get("/api/health").json()["ok"]


@pytest.mark.parametrize(
    "host", ["evil.example:8420", "127.0.0.1:9000", "127.0.0.1", "127.0.0.1.evil.example:8420", ""]
)
def test_other_hosts_are_refused(page, host):
    assert page.get("/api/health", headers={"host": host}).status_code == 403
    assert page.get("/", params={"token": "t" * 24}, headers={"host": host}, follow_redirects=False).status_code == 403


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://127.0.0.1:9000", "https://127.0.0.1:8420"])
def test_other_origins_are_refused(page, origin):
    assert page.post("/api/edit", json={"images": ["test:0"]}, headers={"origin": origin}).status_code == 403


def test_a_request_of_no_page_is_refused(page):
    del page.headers["origin"]
    assert page.post("/api/edit", json={"images": ["test:0"]}).status_code == 403
    assert page.get("/api/health").status_code == 200
    named = {"host": "localhost:8420", "origin": "http://localhost:8420", "cookie": f"iin-explore-8420={'t' * 24}"}
    assert page.post("/api/edit", json={"images": ["test:0"]}, headers=named).status_code == 200


def test_a_cookie_is_found_among_those_of_other_programs(page):
    page.cookies.clear()
    mixed = f'broken[]="; _xsrf=2|1; iin-explore-9000=other; iin-explore-8420={"t" * 24}; x'
    assert page.get("/api/health", headers={"cookie": mixed}).status_code == 200


def test_every_answer_has_the_headers(open_page):
    page = open_page()
    for response in (
        page.get("/api/health"),
        page.get("/api/nothing"),
        page.get("/page/nothing.js"),
        page.get("/api/health", headers={"host": "evil.example"}),
        page.post("/api/upload", content=b"x"),
    ):
        assert {name: response.headers[name] for name in HEADERS} == HEADERS
    policy = HEADERS["content-security-policy"]
    assert "default-src 'self'" in policy
    assert "unsafe" not in policy
