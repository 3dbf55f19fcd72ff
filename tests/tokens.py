"""Playback tokens as a customer's backend makes them, with another library than the server's."""

import base64
import json
import time

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

P384_BYTES = 48


def base64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class Signer:
    """Signs tokens as a customer's backend does: JWS with ES384."""

    def __init__(self):
        self.key = ec.generate_private_key(ec.SECP384R1())

    def public_pem(self):
        form = serialization.PublicFormat.SubjectPublicKeyInfo
        return self.key.public_key().public_bytes(serialization.Encoding.PEM, form).decode()

    def token(self, channel_arn, ends_in_s=300, **claims):
        claims = {"aws:channel-arn": channel_arn, "exp": int(time.time()) + ends_in_s, **claims}
        header = {"alg": "ES384", "typ": "JWT"}
        message = ".".join(base64url(json.dumps(part).encode()) for part in (header, claims))
        r, s = decode_dss_signature(self.key.sign(message.encode(), ec.ECDSA(hashes.SHA384())))
        return f"{message}.{base64url(r.to_bytes(P384_BYTES) + s.to_bytes(P384_BYTES))}"
