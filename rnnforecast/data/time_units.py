"""How long units of time of one length are, in microseconds."""

SECOND, MINUTE, HOUR = 1_000_000, 60_000_000, 3_600_000_000
DAY, WEEK = 24 * HOUR, 168 * HOUR
