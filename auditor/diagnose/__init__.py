"""From evidence to what may be to blame: findings, and later the operation, the line and the proven cause."""
