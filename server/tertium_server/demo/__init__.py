"""The demo: two recorded cameras played through a real server, with what it judges and why on the screen."""
