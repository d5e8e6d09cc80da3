#!/usr/bin/env python3
"""Trains the example's 64-32-10 network on the first 898 images and writes data/model.txt. Needs numpy; gives the same file each time."""
import pathlib
import numpy as np

HERE = pathlib.Path(__file__).resolve().parent / "data"
TRAINING, HIDDEN, CLASSES, ROUNDS, RATE = 898, 32, 10, 3000, 0.2

table = np.loadtxt(HERE / "optdigits-test.csv", delimiter=",")
images, labels = table[:, :64] / 16.0, table[:, 64].astype(int)
x, y = images[:TRAINING], np.eye(CLASSES)[labels[:TRAINING]]

random = np.random.default_rng(8)
w1, b1 = random.normal(0, 0.2, (64, HIDDEN)), np.zeros(HIDDEN)
w2, b2 = random.normal(0, 0.2, (HIDDEN, CLASSES)), np.zeros(CLASSES)
for _ in range(ROUNDS):
    hidden = np.maximum(x @ w1 + b1, 0)
    scores = hidden @ w2 + b2
    likely = np.exp(scores - scores.max(1, keepdims=True))
    likely /= likely.sum(1, keepdims=True)
    error = (likely - y) / len(x)
    back = (error @ w2.T) * (hidden > 0)
    w2 -= RATE * (hidden.T @ error + 1e-4 * w2)
    b2 -= RATE * error.sum(0)
    w1 -= RATE * (x.T @ back + 1e-4 * w1)
    b1 -= RATE * back.sum(0)

with open(HERE / "model.txt", "w") as out:
    out.write(f"64 {HIDDEN} {CLASSES}\n")
    for matrix in (w1, b1, w2, b2):  # row by row: [input][unit]
        for row in np.atleast_2d(matrix):
            out.write(" ".join(f"{value:.6g}" for value in row) + "\n")

held_out = np.maximum(images[TRAINING:] @ w1 + b1, 0) @ w2 + b2
print(f"held-out accuracy {100 * (held_out.argmax(1) == labels[TRAINING:]).mean():.2f} %")
