"""Every way to say who we are, on a real Kafka; and what is said where it is not believed."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Protocol

import pytest

from tests.chaos.fleet import Fleet
from tests.integration.security.bed import PASSWORD, PLAIN_PASSWORD, Bed
from tests.support.certificates import Authority
from tests.support.secured import SecuredKafka
from tests.support.waiting import wait_until
from worker.errors import ExitCode

CLIENT_SECRET = "canary-Qm17-oauth"
SHORT_SECONDS = 10


class MakeBed(Protocol):
    def __call__(self, kind: str, mode: str = "exactly-once") -> Bed: ...


def options_of(kind: str, kafka: SecuredKafka, folder: Path) -> tuple[dict[str, str], str, str]:
    """Options, address and principal."""
    trusted = {"ssl.ca.location": str(kafka.authority.ca)}
    secret = folder / "secret"
    if kind == "PLAIN":
        secret.write_text(PLAIN_PASSWORD)
        plain = {"security.protocol": "SASL_SSL", "sasl.mechanism": "PLAIN", "sasl.username": "plain"}
        return plain | trusted | {"sasl.password": f"file:{secret}"}, kafka.sasl, "plain"
    if kind == "mTLS":
        ours = kafka.authority.issue(f"client-{folder.name}")
        shown = {"ssl.certificate.location": str(ours.certificate), "ssl.key.location": str(ours.key)}
        return {"security.protocol": "SSL"} | trusted | shown, kafka.mutual, f"client-{folder.name}"
    secret.write_text(CLIENT_SECRET)
    subject = f"oauth-{folder.name}"
    kafka.tokens.secrets[subject] = CLIENT_SECRET
    oidc = {
        "security.protocol": "SASL_SSL",
        "sasl.mechanism": "OAUTHBEARER",
        "sasl.oauthbearer.method": "oidc",
        "sasl.oauthbearer.client.id": subject,
        "sasl.oauthbearer.client.secret": f"file:{secret}",
        "sasl.oauthbearer.token.endpoint.url": kafka.tokens.url,
        "sasl.oauthbearer.scope": "kafka",
    }
    return oidc | trusted, kafka.sasl, subject


@pytest.fixture
def make_bed(tmp_path: Path, secured: SecuredKafka, loans_bundle: Path) -> MakeBed:
    def make(kind: str, mode: str = "exactly-once") -> Bed:
        folder = tmp_path / f"{kind}-{mode}"
        folder.mkdir()
        options, bootstrap, principal = options_of(kind, secured, folder)
        bed = Bed(folder, secured, loans_bundle, options, bootstrap, principal, mode)
        secured.grant(principal, bed.worker_grants().values())
        return bed

    return make


def test_plain_over_tls(make_bed: MakeBed) -> None:
    """A user with a password is known over TLS, and may do what the ACLs say."""
    assert make_bed("PLAIN").checked()[0] == ExitCode.OK


def test_mutual_tls(make_bed: MakeBed) -> None:
    """A worker that is known by its certificate predicts, exactly once."""
    bed = make_bed("mTLS")
    bed.write(0, 5)
    with Fleet(bed.config) as fleet:
        worker = fleet.start()
        wait_until(lambda: bed.predictions() == 5 or not worker.running, 60)
        assert fleet.stop(30) == [ExitCode.OK], worker.last_words()
    assert bed.predictions() == 5


@pytest.mark.long
def test_tokens_that_run_out(make_bed: MakeBed, secured: SecuredKafka) -> None:
    """Workers with OAuth tokens that live for seconds, idle for longer than that, go on when records come."""
    beds = [make_bed("OAUTHBEARER", mode) for mode in ("exactly-once", "at-least-once")]
    secured.tokens.lifetime_seconds = SHORT_SECONDS
    with contextlib.ExitStack() as stack:
        fleets = [stack.enter_context(Fleet(bed.config)) for bed in beds]
        workers = [fleet.start() for fleet in fleets]

        def all_predicted(count: int) -> bool:
            return all(bed.predictions() == count for bed in beds) or not all(worker.running for worker in workers)

        for bed in beds:
            bed.write(0, 5)
        wait_until(lambda: all_predicted(5), 60)
        # Each worker has a consumer and a producer, whose tokens are renewed twice and more while nothing comes.
        issued = secured.tokens.issued
        wait_until(lambda: secured.tokens.issued >= issued + 8 or not all(w.running for w in workers), 60)
        for bed in beds:
            bed.write(5, 5)
        wait_until(lambda: all_predicted(10), 20)
        for fleet, worker in zip(fleets, workers, strict=True):
            assert fleet.stop(30) == [ExitCode.OK], worker.last_words()
    assert [bed.predictions() for bed in beds] == [10, 10]


def test_a_wrong_password(bed: Bed) -> None:
    """A password that the broker does not take ends the start at once: exit code 3, the broker's words, no password."""
    (bed.folder / "password").write_text(PASSWORD + "-wrong")
    code, text = bed.says("run")
    assert code == ExitCode.CONFIGURATION, text
    assert "we don't trust one another" in text
    assert "SCRAM-SHA-512" in text
    assert "sasl.username" in text
    assert PASSWORD not in text


def test_a_broker_of_another_authority(bed: Bed) -> None:
    """A broker whose certificate we don't trust gets nothing: exit code 3, with the setting that names whom to trust."""
    bed.options["ssl.ca.location"] = str(Authority(bed.folder / "others").ca)
    code, text = bed.checked()
    assert code == ExitCode.CONFIGURATION, text
    assert "we don't trust one another" in text
    assert "ssl.ca.location" in text


@pytest.mark.long
def test_without_protection(bed: Bed) -> None:
    """Without TLS at a port that wants it, the hint is about the protocol."""
    bed.options = {}
    code, text = bed.checked()
    assert code in (ExitCode.TRANSPORT, ExitCode.CONFIGURATION)
    assert "security.protocol" in text


def test_plain_without_tls(bed: Bed) -> None:
    """SASL/PLAIN without TLS is refused before anything is sent."""
    bed.options |= {"security.protocol": "SASL_PLAINTEXT", "sasl.mechanism": "PLAIN"}
    code, text = bed.checked()
    assert code == ExitCode.CONFIGURATION, text
    assert "use SASL_SSL, or SCRAM-SHA-512" in text
    assert json.dumps(PASSWORD) not in text
