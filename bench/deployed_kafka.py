"""Kafka as it is measured: with what a deployment gives it, not what `make run` does on a laptop."""

# SMALL_JVM stops Kafka for 11 ms each 0.8 s at 2,000 messages a second to collect its garbage: that would be the p99
JVM = ["-XX:+UseParallelGC", "-Xms1g", "-Xmx1g", "-Xmn768m", "-XX:+AlwaysPreTouch"]
PROPERTIES = "log.segment.bytes=1073741824\n"  # the default; with less a new one is begun, and Kafka stalls, while it is measured


def as_deployed(kafka):
    """Before it is started."""
    kafka.use_jvm(JVM)
    kafka.more_properties += PROPERTIES
