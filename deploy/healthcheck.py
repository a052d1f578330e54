"""Exit with 0 if the service in this container answers ``/healthz``, with 1 if it does not."""

import os
import ssl
import sys
import urllib.request


def main() -> int:
    """Ask the service on loopback, by TLS if it has a certificate."""
    port = os.environ.get("PREDICT_PORT") or "8000"
    scheme, context = "http", None
    if os.environ.get("LENGTHWISE_TLS_CERT"):
        scheme, context = "https", ssl.create_default_context()
        context.check_hostname = False  # the certificate names the service, not loopback
        context.verify_mode = ssl.CERT_NONE
    try:
        with urllib.request.urlopen(
            f"{scheme}://127.0.0.1:{port}/healthz", timeout=2, context=context
        ) as answer:
            return 0 if answer.status == 200 else 1
    except (OSError, ValueError) as error:
        print(error, file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
