# Children, pipelines, threads, signals among its own, a pool of processes with locks, queues and shared values.
import concurrent.futures
import multiprocessing
import os
import signal
import subprocess
import threading

from common import done, works


def add(lock, total, queue):
    with lock:
        total.value += 1
    queue.put(os.getpid())


def square(number):
    return number * number


if __name__ == "__main__":
    works(subprocess.run(["/bin/echo", "hi"], capture_output=True, text=True, check=True).stdout == "hi\n", "a child")
    works(subprocess.run("seq 1000 | sort -n | tail -1", shell=True, capture_output=True).stdout == b"1000\n", "a pipeline")
    child = subprocess.Popen(["sleep", "20"], start_new_session=True)
    os.killpg(child.pid, signal.SIGTERM)
    works(child.wait() == -signal.SIGTERM, "a child is ended with its group")
    lock, total, queue = multiprocessing.Lock(), multiprocessing.Value("i", 0), multiprocessing.Queue()
    workers = [multiprocessing.Process(target=add, args=(lock, total, queue)) for _ in range(5)]
    for worker in workers:
        worker.start()
    works(len({queue.get(timeout=10) for _ in workers}) == 5, "queues")
    for worker in workers:
        worker.join()
    works(total.value == 5, "locks and shared values")
    with concurrent.futures.ProcessPoolExecutor(2) as pool:
        works(list(pool.map(square, range(5))) == [0, 1, 4, 9, 16], "a pool")
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        works(pool.map(abs, [-1]) == [1], "a pool that is spawned")
    seen = []
    threads = [threading.Thread(target=seen.append, args=(number,)) for number in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    works(len(seen) == 40, "threads")
    works((os.cpu_count() or 0) > 0, "the number of processors")
    done()
