"""Decides which certificates of a target are trusted: the system's, and those that the user names.

An environment variable passes the file to every process of a run. The swarm, the matrix, their engines and the admin
client open connections of their own, some of them on other machines.
"""

from __future__ import annotations

import base64
import hashlib
import os
import ssl
import stat
from pathlib import Path

from bedrock.errors import InputError, Problem

CA_FILE_VARIABLE = "RINGFENCE_CA_FILE"
"""Names a PEM file with the certificate of the target, or of the authority that signed it."""
CA_FILE_KEY = "target.ca_file"
CA_FILE_HINT = "give a PEM file: the target's certificate, or that of the authority that signed it"
LARGEST_CA_FILE_BYTES = 4 * 1024 * 1024
_HOST_MISMATCH = (62, 64)
"""X509_V_ERR_HOSTNAME_MISMATCH and X509_V_ERR_IP_ADDRESS_MISMATCH."""
_DATES = {9: "is not valid yet", 10: "has expired"}


def ca_file() -> Path | None:
    """Returns the file that the user named; None when only the system's authorities are trusted."""
    named = os.environ.get(CA_FILE_VARIABLE, "")
    return Path(named) if named else None


def trust(path: Path) -> None:
    """Makes this process and its children trust the certificates in ``path``."""
    os.environ[CA_FILE_VARIABLE] = str(path.absolute())


def client_context() -> ssl.SSLContext:
    """Returns the TLS settings for the target. Raises InputError when the named file cannot be used."""
    context = ssl.create_default_context()
    path = ca_file()
    if path is not None:
        problem = problem_of(path)
        if problem:
            raise InputError([Problem(CA_FILE_VARIABLE, "", f"{path} {problem}", CA_FILE_HINT)])
        context.load_verify_locations(cafile=path)
        # A server's own certificate is trusted when the user names it, whoever signed it.
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    return context


def key_digests() -> list[str]:
    """Returns the SPKI digest (base64 of SHA-256) of each named certificate, as browsers use it."""
    # Imported here: only who starts a browser needs it, and the admin client is in many processes.
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    path = ca_file()
    if path is None:
        return []
    keys = (
        one.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        for one in x509.load_pem_x509_certificates(path.read_bytes())
    )
    return [base64.b64encode(hashlib.sha256(key).digest()).decode() for key in keys]


def why_untrusted(url: str, error: ssl.SSLCertVerificationError) -> tuple[str, str]:
    """Returns the sentence about a rejected certificate, and what to do about it."""
    if error.verify_code in _HOST_MISMATCH:
        return f"the certificate of {url} is for another name: {error.verify_message}", "use the name it was made for"
    if error.verify_code in _DATES:
        return f"the certificate of {url} {_DATES[error.verify_code]}", "renew it on the target, and check both clocks"
    sentence = f"the certificate of {url} is not trusted: {error.verify_message}"
    if ca_file() is not None:
        return sentence, f"{ca_file()} must hold this certificate, or that of the authority that signed it"
    return sentence, (
        f"if it is yours, name its PEM file, or its authority's: {CA_FILE_KEY} in the plan, or {CA_FILE_VARIABLE}"
    )


def problem_of(path: Path) -> str:
    """Returns what is wrong with a file of certificates; empty for a good one."""
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            return "is not a regular file"
        if status.st_size > LARGEST_CA_FILE_BYTES:
            return "is larger than 4 MiB"
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cafile=path)
    except ssl.SSLError:
        return "holds no certificate in PEM form"
    except (OSError, ValueError) as error:
        return f"cannot be read: {getattr(error, 'strerror', None) or error}"
    return ""
