"""What keeps the project up to date: README, pictures, sessions, the public address."""
