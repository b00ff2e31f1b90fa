"""Only the server's own page on this machine gets an answer: token, host, origin, and the headers of all answers."""

import pytest
from serving_client import HOST, PORT, TOKEN

ALIVE = f"http://{HOST}/{TOKEN}/api/alive"


@pytest.mark.parametrize(
    "path",
    [
        *("", "/", f"/{TOKEN}", f"/{TOKEN}x/api/alive", f"/{TOKEN[:-1]}/api/alive", f"/x/{TOKEN}/api/alive"),
        *(
            f"//{TOKEN}/api/alive",
            "/api/alive",
            f"/{TOKEN.upper()}/",
            "/%00/",
            "/\N{SNOWMAN}/",
            f"/{TOKEN}%2Fapi/alive",
        ),
        f"/{TOKEN}/api/nothing",
        f"/{TOKEN}/../{TOKEN}x/",
    ],
)
def test_a_wrong_token_and_a_wrong_path_get_the_same_answer(mini, path):
    """The answer gives no hint whether the token or the path is wrong."""
    answer = mini.client.get(f"http://{HOST}{path}")
    assert answer.status_code == (204 if path.endswith("%2Fapi/alive") else 404)  # an encoded slash is a slash
    if answer.status_code == 404:
        assert answer.json() == {"error": "not found", "hint": None}


@pytest.mark.parametrize("host", [HOST, f"localhost:{PORT}", f"LOCALHOST:{PORT}"])
def test_both_names_of_this_machine_are_accepted(mini, host):
    assert mini.client.get(ALIVE, headers={"host": host}).status_code == 204


@pytest.mark.parametrize(
    "host",
    ["evil.example", f"evil.example:{PORT}", "127.0.0.1", "localhost", "127.0.0.1:1", f"127.0.0.1.nip.io:{PORT}", "",
     f"[::1]:{PORT}", f"0.0.0.0:{PORT}", f"{HOST}@evil.example", f"{HOST},evil.example"],
)  # fmt: skip
def test_a_name_that_another_site_may_own_is_refused(mini, host):
    """DNS rebinding: the name of a site that points to 127.0.0.1."""
    answer = mini.client.get(ALIVE, headers={"host": host})
    assert answer.status_code == 421
    assert TOKEN not in answer.text


def test_two_host_headers_are_refused(mini):
    answer = mini.client.get(ALIVE, headers=[("host", HOST), ("host", "evil.example")])
    assert answer.status_code == 421


@pytest.mark.parametrize("origin", [f"http://{HOST}", f"HTTP://{HOST}"])
def test_the_own_origin_is_accepted(mini, origin):
    assert mini.client.get(ALIVE, headers={"origin": origin}).status_code == 204


@pytest.mark.parametrize(
    "origin",
    ["http://evil.example", "null", f"https://{HOST}", "http://127.0.0.1:1", f"http://localhost:{PORT}", "file://", ""],
)
@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS"])
def test_a_foreign_origin_is_refused(mini, method, origin):
    """That of another port of this machine, too; and `localhost` is another origin than `127.0.0.1`."""
    answer = mini.client.request(method, f"http://{HOST}/{TOKEN}/api/images", headers={"origin": origin})
    assert answer.status_code == 403
    assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize(
    ("site", "status"), [("same-origin", 204), ("none", 204), ("cross-site", 403), ("same-site", 403)]
)
def test_requests_that_another_site_started_are_refused(mini, site, status):
    """An image or a form of another site sends no origin, but says where it comes from."""
    assert mini.client.get(ALIVE, headers={"sec-fetch-site": site}).status_code == status


@pytest.mark.parametrize(
    ("path", "status"),
    [("", 200), ("api/session", 200), ("api/images/0/thumbnail", 200), ("api/map?model=x&image=0", 404),
     ("api/map", 400), ("api/nothing", 404), ("../x", 404)],
)  # fmt: skip
def test_every_answer_has_the_security_headers(mini, path, status):
    answer = mini.client.get(f"http://{HOST}/{TOKEN}/{path}")
    assert answer.status_code == status
    headers = answer.headers
    assert "default-src 'none'" in headers["content-security-policy"]
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cache-control"] == "no-store"
    assert headers["cross-origin-opener-policy"] == "same-origin"
    assert headers["cross-origin-resource-policy"] == "same-origin"
    assert not [name for name in headers if name.startswith("access-control")]


def test_the_page_runs_only_its_own_scripts(mini):
    policy = mini.client.get("").headers["content-security-policy"]
    assert "unsafe" not in policy
    assert "script-src 'sha256-" in policy or "script-src" not in policy
    assert "connect-src 'self'" in policy


def test_headers_above_the_limit_are_refused(mini):
    assert mini.client.get(ALIVE, headers={"x": "y" * 15_000}).status_code == 204
    assert mini.client.get(ALIVE, headers={"x": "y" * 17_000}).status_code == 431


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "POST", "TRACE"])
def test_other_methods_are_refused(mini, method):
    answer = mini.client.request(method, "api/session")
    assert answer.status_code == 405
    assert answer.json()["error"]


@pytest.mark.parametrize(
    "image_id",
    [
        *(
            "..",
            "../../etc/passwd",
            "%2e%2e%2f%2e%2e%2fetc%2fpasswd",
            "/etc/passwd",
            "a b.png",
            "more/c.png",
            "00",
            "-1",
        ),
        *("2", "u", "0%00", "9" * 5000, "0 ", "٠"),
    ],
)
def test_an_image_is_named_only_by_an_id_that_the_server_gave(mini, photos, image_id):
    """No path of a client is opened: not even that of an image of the directory."""
    for request in (f"api/images/{image_id}/picture", f"api/predictions?model=m0&image={image_id}"):
        answer = mini.client.get(request)
        assert answer.status_code in (400, 404), request
        assert str(photos) not in answer.text


@pytest.mark.parametrize("query", ["%", "[", "\\", "*" * 400, "\0", "../"])
def test_a_search_is_a_plain_text(mini, query):
    assert mini.json("api/images", query=query) == {"images": [], "total": 0}
