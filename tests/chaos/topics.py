"""Herald's own topics, read from the beginning into the ledger."""

import json

from kafka_io import Tail


class Into:
    """Takes the place of a Tail's list of records."""

    def __init__(self, take):
        self.add = take


class OutcomeTail(Tail):
    def __init__(self, bootstrap, ledger):
        self.ledger = ledger
        super().__init__(bootstrap, "herald.outcome", from_beginning=True, records=Into(self.take))

    def take(self, record):
        self.ledger.outcome(json.loads(record.value()), record.timestamp()[1] / 1000)


class LetterTail(Tail):
    def __init__(self, bootstrap, ledger):
        self.ledger = ledger
        super().__init__(bootstrap, "herald.dlq", from_beginning=True, records=Into(self.take))

    def take(self, record):
        headers = dict(record.headers() or ())
        assert headers["herald-source"] and headers["herald-error"]
        self.ledger.letter(json.loads(record.value())["id"])
