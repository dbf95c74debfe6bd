import os

import numpy as np
from usearch.index import Index

from adapters import Adapter


class Peer(Adapter):
    PACKAGE = "usearch"
    SETTINGS = "HNSW, bf16, connectivity 16, expansion 200"

    def new(self, dim):
        metric = "ip" if self.metric == "dot" else "l2sq"
        return Index(ndim=dim, metric=metric, dtype="bf16", connectivity=16, expansion_add=200)

    def build(self, rows, folder):
        self.index = self.new(rows.shape[1])
        self.index.add(np.arange(len(rows), dtype=np.uint64), rows, threads=self.threads)

    def save(self, folder):
        self.index.save(os.path.join(folder, "index"))

    def open(self, folder, dim):
        self.index = self.new(dim)
        self.index.load(os.path.join(folder, "index"))

    def effort(self, value):
        self.index.expansion_search = value

    def ask(self, query):
        return self.index.search(query, self.k, threads=1).keys
