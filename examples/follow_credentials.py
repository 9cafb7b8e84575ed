"""Follows issued credentials with plain confluent-kafka and its standard deserializer, and verifies each one.

    python examples/follow_credentials.py 127.0.0.1:9092 http://127.0.0.1:8080 [how many]

The gateway serves the schemas as a Confluent registry does, and the issuers' documents. Start again where it ended: the group's
offsets are committed after each credential.
"""

import sys
import urllib.request
from datetime import UTC, datetime
from urllib.parse import urlsplit

from confluent_kafka import Consumer
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer
from confluent_kafka.serialization import MessageField, SerializationContext

from services.signing.did_web import document_url
from services.signing.verifying import Verifier

TOPIC = "credential.issued.v1"


def fetch(gateway: str, url: str) -> bytes:
    """Return a public document from the gateway, wherever its public address will be."""
    with urllib.request.urlopen(gateway + urlsplit(url).path) as answer:
        return bytes(answer.read())


def main(bootstrap: str, gateway: str, count: int) -> None:
    consumer = Consumer(
        {"bootstrap.servers": bootstrap, "group.id": "example", "isolation.level": "read_committed",
         "auto.offset.reset": "earliest", "enable.auto.commit": False}
    )  # fmt: skip
    consumer.subscribe([TOPIC])
    deserialize = AvroDeserializer(SchemaRegistryClient({"url": gateway}))
    documents: dict[str, bytes] = {}
    for _ in range(count):
        while (record := consumer.poll(1.0)) is None or record.error():
            pass
        issued = deserialize(record.value(), SerializationContext(TOPIC, MessageField.VALUE))
        host = urlsplit(issued["status_list"]).netloc.replace(":", "%3A")
        did = document_url(f"did:web:{host}:programmes:{issued['programme']}")
        for url in (did, issued["status_list"]):
            documents[url] = fetch(gateway, url)  # fresh: a status may have changed
        verdict = Verifier(documents, now=datetime.now(UTC)).verify(issued["credential"])
        print(issued["credential_id"], issued["achievement"], verdict.overall, flush=True)
        consumer.commit(record)
    consumer.close()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]) if len(sys.argv) > 3 else sys.maxsize)
