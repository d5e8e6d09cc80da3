// Vendor certificates as PEM. They are facts: anyone can fetch them from the vendors' own services and compare.
#pragma once

namespace ccgpu::verify {

extern const char kNvidiaDeviceRoot[], kNvidiaRimRoot[], kIntelSgxRoot[];
extern const char kArkMilan[], kArkGenoa[], kArkTurin[];
extern const char kAskMilan[], kAskGenoa[], kAskTurin[], kAsvkMilan[];

}  // namespace ccgpu::verify
