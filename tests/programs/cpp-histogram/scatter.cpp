// Adds values into buckets on several threads, each addition atomic: only their order is left to chance.
#include <atomic>
#include <thread>
#include <vector>

extern "C" void scatter(const float* values, const long* buckets, long count, float* out, long threads) {
    std::atomic<bool> go{false};
    std::vector<std::thread> workers;
    for (long worker = 0; worker < threads; ++worker) {
        workers.emplace_back([=, &go] {
            while (!go.load()) {
            }
            for (long i = worker; i < count; i += threads) {
                auto* cell = reinterpret_cast<std::atomic<float>*>(out + buckets[i]);
                float old = cell->load();
                while (!cell->compare_exchange_weak(old, old + values[i])) {
                }
            }
        });
    }
    go.store(true);
    for (auto& worker : workers) worker.join();
}
